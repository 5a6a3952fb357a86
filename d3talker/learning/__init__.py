"""What learns, whatever the method: a resumable loop, views, optimisers, losses, networks."""
