using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Tests.Ports;

/// <summary>A network namespace with nothing but a loopback device.</summary>
internal sealed class TestNamespace : IDisposable
{
    private static int _count;
    private readonly string _name = string.Create(CultureInfo.InvariantCulture, $"engine-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}");

    public TestNamespace()
    {
        Ip("netns", "add", _name);
        Ip("-n", _name, "link", "set", "lo", "up");
        Handle = File.OpenHandle("/run/netns/" + _name);
    }

    public SafeFileHandle Handle { get; }

    public T Run<T>(Func<T> work) => NetworkNamespace.Run(Handle, work);

    public void Dispose()
    {
        Handle.Dispose();
        Ip("netns", "del", _name);
    }

    private static void Ip(params string[] arguments)
    {
        using Process process = Process.Start("ip", arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
