using System;
using System.Globalization;
using System.IO;
using System.Reflection;

/// <summary>Loads satellite assemblies, and one assembly from bytes, which leaves it without a location.</summary>
internal static class Languages
{
    public static void Main(string[] arguments)
    {
        foreach (var name in new[] { "Microsoft.Data.OData", "Microsoft.Data.Edm" })
            foreach (var language in new[] { "de", "fr" })
                Console.WriteLine(Assembly.Load(name).GetSatelliteAssembly(new CultureInfo(language)).FullName);
        var content = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "modules", "NLog.dll"));
        Console.WriteLine(Assembly.Load(content).GetType("NLog.LogManager"));
        Truth.TellAndWait();
    }
}
