"""What an AUTOMATIC1111 WebUI, or a descendant of it, loads of us: the script and all callbacks."""
