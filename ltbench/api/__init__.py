"""The functions of `import ltbench`: plans, runs, pages and tables, by the same code as the commands."""
