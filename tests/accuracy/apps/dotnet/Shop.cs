using System;
using System.Collections.Generic;
using System.Reactive.Linq;
using System.Linq;
using System.Runtime.CompilerServices;

/// <summary>Uses a package in each method, so that the runtime loads it when the method is compiled.</summary>
internal static class Shop
{
    public static void Main(string[] arguments)
    {
        Json();
        Log();
        Yaml();
        Html();
        Retry();
        Wait();
        Checksum();
        Mathematics();
        Sequences();
        Events();
        Pack();
        Own();
        Truth.TellAndWait();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Json()
    {
        Console.WriteLine(Newtonsoft.Json.JsonConvert.SerializeObject(new Dictionary<string, int> { { "a", 1 } }));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Log() { NLog.LogManager.GetLogger("shop").Info("open"); }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Yaml()
    {
        var serializer = new YamlDotNet.Serialization.SerializerBuilder().Build();
        Console.WriteLine(serializer.Serialize(new List<string> { "a", "b" }));
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Html()
    {
#if HTML
        Console.WriteLine(new AngleSharp.Parser.Html.HtmlParser().Parse("<p>text").Body.TextContent);
#endif
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Retry() { Polly.RetrySyntax.Retry(Polly.Policy.Handle<Exception>(), 2).Execute(() => { }); }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Wait()
    {
        var pauses = Polly.Contrib.WaitAndRetry.Backoff.ConstantBackoff(TimeSpan.FromSeconds(1), 3);
        Console.WriteLine(pauses.Count());
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Checksum()
    {
        var sum = new ICSharpCode.SharpZipLib.Checksum.Crc32();
        sum.Update(new byte[] { 1, 2, 3 });
        Console.WriteLine(sum.Value);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Mathematics() { Console.WriteLine(MathNet.Numerics.SpecialFunctions.Gamma(5)); }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Sequences() { Console.WriteLine(EnumerableEx.Return(1).Count()); }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Events() { Observable.Range(1, 3).Subscribe(each => { }); }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Pack() { Console.WriteLine(IronSnappy.Snappy.Encode(new byte[64]).Length); }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Own() { Console.WriteLine(Prices.Of("tea")); }
}
