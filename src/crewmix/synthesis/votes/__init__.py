"""The drafts' own answers decide: counted, weighted, or by how much they resemble each other."""
