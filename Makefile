lock:
	@true
