"""The packaged properties: what ``gradcheck run`` runs, through pytest, wherever gradcheck is installed."""
