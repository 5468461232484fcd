"""The models as data: what each one is, needs, allows and costs, and how the files that say so are read."""

from inference.catalog.architecture import Architecture, LocalAttention, Mla, Moe
from inference.catalog.catalog import Catalog, load
from inference.catalog.licence import licence_notice
from inference.catalog.model import Licence, Model, NumberFormat, Offer, Serving, Template, Weights

__all__ = [
    "Architecture",
    "Catalog",
    "Licence",
    "LocalAttention",
    "Mla",
    "Model",
    "Moe",
    "NumberFormat",
    "Offer",
    "Serving",
    "Template",
    "Weights",
    "licence_notice",
    "load",
]
