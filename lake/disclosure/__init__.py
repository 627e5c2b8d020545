"""What may leave the lake: public figures and exports."""
