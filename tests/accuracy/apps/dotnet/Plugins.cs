using System;
using System.IO;
using System.Reflection;
using System.Runtime.Loader;

/// <summary>Loads plug-ins lazily: two in contexts of their own with other versions, one by LoadFrom.</summary>
internal static class Plugins
{
    public static void Main(string[] arguments)
    {
        var folder = Path.Combine(AppContext.BaseDirectory, "plugins");
        foreach (var name in new[] { "First", "Second" })
        {
            var context = new Isolated(Path.Combine(folder, name, name + ".dll"));
            Run(context.LoadFromAssemblyName(new AssemblyName(name)));
        }
        Run(Assembly.LoadFrom(Path.Combine(folder, "Third", "Third.dll")));
        Truth.TellAndWait();
    }

    private static void Run(Assembly plugin)
    {
        Console.WriteLine(plugin.GetType("Plugin").GetMethod("Run").Invoke(null, null));
    }

    private sealed class Isolated : AssemblyLoadContext
    {
        private readonly AssemblyDependencyResolver resolver;

        public Isolated(string plugin) { resolver = new AssemblyDependencyResolver(plugin); }

        protected override Assembly Load(AssemblyName name)
        {
            var path = resolver.ResolveAssemblyToPath(name);
            return path == null ? null : LoadFromAssemblyPath(path);
        }
    }
}
