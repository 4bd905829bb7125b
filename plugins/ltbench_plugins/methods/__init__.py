"""The built-in methods: named bundles of techniques."""
