"""Charts as SVG and safe markup, in one look for every page. Package data: ``style.css``.

It draws numbers; what they mean is known only to whoever calls it.
"""
