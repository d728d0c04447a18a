"""Reports: self-contained HTML pages about measurements, readable offline and on paper.

Pages hold text, tables, inline SVG and embedded thumbnails, and no script. Nothing here measures.
"""
