using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Text;
using System.Threading;

/// <summary>What the runtime itself says it has loaded: assemblies, and the modules mapped beside them.</summary>
internal static class Truth
{
    public static void Tell()
    {
        Told();  // the first time loads what telling itself needs
        var line = Encoding.UTF8.GetBytes(Told() + "\n");
        using (var output = Console.OpenStandardOutput())
            output.Write(line, 0, line.Length);  // at once: whoever reads it never sees half of it
    }

    public static void TellAndWait()
    {
        Tell();
        Thread.Sleep(Timeout.Infinite);
    }

    private static string Told()
    {
        var assemblies = new List<string>();
        foreach (var each in AppDomain.CurrentDomain.GetAssemblies().Where(each => !each.IsDynamic))
            assemblies.Add("[" + Quoted(each.GetName().Name) + "," + Quoted(each.Location) + "]");
        var modules = new List<string>();
        foreach (ProcessModule each in Process.GetCurrentProcess().Modules)
            modules.Add(Quoted(each.FileName));
        return "TRUTH {\"assemblies\":[" + string.Join(",", assemblies) + "],\"modules\":["
            + string.Join(",", modules) + "]}";
    }

    private static string Quoted(string text)
    {
        return "\"" + text.Replace("\\", "\\\\").Replace("\"", "\\\"") + "\"";
    }
}
