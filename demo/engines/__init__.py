"""The four engines: the exact shape of their activity events, and what their databases' users do all day."""
