using System;
using System.Linq;
using System.Threading;

/// <summary>Started in a program that is not ours (DOTNET_STARTUP_HOOKS): tells once nothing more is loaded.</summary>
internal class StartupHook
{
    public static void Initialize()
    {
        new Thread(Watch) { IsBackground = true }.Start();
    }

    private static void Watch()
    {
        for (int before = -1, quiet = 0; quiet < 6; )
        {
            Thread.Sleep(500);
            var now = AppDomain.CurrentDomain.GetAssemblies().Length;
            quiet = now == before && now > 60 ? quiet + 1 : 0;
            before = now;
        }
        Truth.Tell();
    }
}
