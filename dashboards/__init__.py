"""Streamlit pages over Gold as it may be shown, and over run metrics: never Bronze, never a patient's row."""
