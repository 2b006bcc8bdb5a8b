"""Tools that every command needs: errors, files, processes, progress, pages, command lines."""
