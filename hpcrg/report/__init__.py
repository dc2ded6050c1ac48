"""One self-contained HTML page from estimates and figure data. It reads, draws and sets side by side; it computes no
physics."""
