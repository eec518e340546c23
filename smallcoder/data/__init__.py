"""Curation: from files to clean, unique, decontaminated documents. Every stage reads and writes DOCUMENT tables."""
