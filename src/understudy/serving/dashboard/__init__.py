"""The pages at ``/dashboard``: what was saved and spent, whether certificates hold, and which answers a person must
judge. Rendered here, without a script but for the keyboard of the review; nothing is fetched from elsewhere.

It reads the ledger and writes labels; it never answers a call, and no call waits for it. Package data:
``dashboard.css``, ``review.js``.
"""
