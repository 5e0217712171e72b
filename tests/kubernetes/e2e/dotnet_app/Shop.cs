using System;
using System.Threading;

public static class Shop
{
    public static void Main()
    {
        Console.WriteLine(Demo.Library.Name());
        Thread.Sleep(Timeout.Infinite);
    }
}
