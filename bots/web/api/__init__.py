"""The admin's JSON API: one router a noun, the same functions as the pages. `/openapi.json` describes it."""
