"""The targets: a module per language, each with ``TARGETS``.

Nothing is imported here: a parser has to be imported under the fuzzer's instrumentation. See ``catalogue``.
"""
