""".NET: assemblies that a runtime opens, single-file programs that are executed -> NuGet packages."""
