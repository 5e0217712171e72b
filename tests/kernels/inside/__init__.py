"""What runs in the guest, under its own python3. Imports nothing that the guest lacks."""
