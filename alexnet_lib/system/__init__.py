"""The machine below: devices and precision, files and locks, progress bars, processes."""
