"""What every command needs: errors, processes, progress, pages, the command line."""
