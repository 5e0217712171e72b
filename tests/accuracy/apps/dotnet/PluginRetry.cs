using System;

public static class Plugin
{
    public static string Run()
    {
        Polly.RetrySyntax.Retry(Polly.Policy.Handle<Exception>(), 2).Execute(() => { });
        return "retried";
    }
}
