"""The tables: contracts, encryption, Delta reads and writes, SQL over them.

May not import Quix Streams, Prefect or Streamlit.
"""
