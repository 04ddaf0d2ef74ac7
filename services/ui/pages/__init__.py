"""The pages of the user interface, one file a page, and the parts they are made of."""
