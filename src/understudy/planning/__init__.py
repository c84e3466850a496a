"""Plans: what a model costs to train and to serve, where, and until when. Joins the economics into answers."""
