"""A trained head, or a subject's tracking, in the browser (extra `view`: viser)."""
