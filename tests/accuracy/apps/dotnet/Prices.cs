using System.Reflection;

// As Microsoft.NETCore.Sdk writes for a project that sets nothing.
[assembly: AssemblyCompany("Prices")]
[assembly: AssemblyProduct("Prices")]
[assembly: AssemblyFileVersion("1.0.0.0")]
[assembly: AssemblyInformationalVersion("1.0.0")]
[assembly: AssemblyVersion("1.0.0.0")]

/// <summary>A library of the application's own: a project, not a package.</summary>
public static class Prices
{
    public static int Of(string article) { return article.Length; }
}
