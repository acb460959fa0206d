using Microsoft.Win32.SafeHandles;
using Xfrmd.Linux;
using Xfrmd.Linux.Process;

namespace Xfrmd.Cli.Serve;

/// <summary>The numbers (nsid) by which one network namespace knows others, for sockets that hear those too. Asked for anew each time: <c>ip netns set</c> changes them.</summary>
internal sealed class NamespaceNumbers(SafeFileHandle netns) : IDisposable
{
    private readonly Lock _gate = new();
    private RouteClient? _routes;
    private UserNamespaces? _owners;
    private bool _disposed;

    /// <summary>Null where it has none, or where who rules this namespace does not rule that one.</summary>
    public int? Of(SafeFileHandle? other)
    {
        lock (_gate)
        {
            if (other is null || _disposed || !UserNamespaces.Of(other).IsWithin(_owners ??= UserNamespaces.Of(netns)))
            {
                return null;
            }
            try
            {
                return (_routes ??= NetworkNamespace.Run(netns, static () => new RouteClient())).NumberOf(other);
            }
            catch (LinuxException)
            {
                return null;   // a namespace that we may not enter
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _routes?.Dispose();
        }
    }
}
