"""The user interface: pages in the browser over the other services."""
