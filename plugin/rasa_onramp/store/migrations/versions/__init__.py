"""One migration a module, numbered."""
