"""Campaigns: many searches, on all cores, a cluster or the parts of a CI matrix, which no crash of a layer can end.

    from gradcheck.campaign import campaign, plan

    tally = campaign(plan(["package.layers:Dense"], budget=100_000), "campaign.jsonl")

A `Plan` is the cells to judge, target × dtype × block × number. `judged` puts them through any
`concurrent.futures.Executor`, `Guard` keeps one in a process of its own, and `Ledger` is the file of what is done.
"""

from gradcheck.campaign.cell import Cell
from gradcheck.campaign.conductor import BrokenCampaignError, campaign, judged
from gradcheck.campaign.executors import LocalPool, dask
from gradcheck.campaign.guard import Guard, Limits, LostError
from gradcheck.campaign.ledger import Ledger, LedgerError
from gradcheck.campaign.plan import Plan, plan
from gradcheck.campaign.tally import Tally

__all__ = [
    "BrokenCampaignError", "Cell", "Guard", "Ledger", "LedgerError", "Limits", "LocalPool", "LostError", "Plan",
    "Tally", "campaign", "dask", "judged", "plan",
]  # fmt: skip
