"""What a plugin is made of. The public names are those of openeaap.sdk."""
