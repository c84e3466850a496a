"""What every benchmark needs: data, processes, cache, machine, page. Standard library only, so peers can
use it.
"""
