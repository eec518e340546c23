"""Pages of the web as text: HTML to Markdown with its code and mathematics whole, and the stage that reads archives."""
