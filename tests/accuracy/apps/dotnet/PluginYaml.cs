using System.Collections.Generic;

public static class Plugin
{
    public static string Run()
    {
        NLog.LogManager.GetLogger("plugin").Info("runs");
        return new YamlDotNet.Serialization.SerializerBuilder().Build().Serialize(new List<string> { "a" });
    }
}
