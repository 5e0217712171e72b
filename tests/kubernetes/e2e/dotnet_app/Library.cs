using System.Reflection;

// Of all 4.x, as packages often have it: only deps.json knows the package's own version.
[assembly: AssemblyVersion("4.0.0.0")]

namespace Demo
{
    public static class Library
    {
        public static string Name() { return "demo"; }
    }
}
