using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Attach;
using Xfrmd.Cli.Control;
using Xfrmd.Datapath.Engine;
using Xfrmd.Kernel;
using Xfrmd.Linux.Process;

namespace Xfrmd.Cli.Serve;

/// <summary>
/// The XFRM state of every network namespace that a program came from. It stays when the program goes, as in Linux, and ends with the
/// namespace: while one has no program of ours it is looked for from time to time.
/// </summary>
internal sealed class Namespaces : INamespaceProvider, INamespaceDirectory, IDisposable
{
    private static readonly TimeSpan CensusInterval = TimeSpan.FromSeconds(3);
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, NamespaceServices> _services = [];
    private readonly HashSet<ulong> _deserted = [];
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _logging;
    private readonly DatapathOptions _options;
    private readonly Action<XfrmNamespace> _onOpened;
    private readonly ITimer _census;
    private bool _censusRuns;

    /// <param name="time">The SA clock.</param>
    /// <param name="logging">Makes the loggers.</param>
    /// <param name="options">How packets are carried.</param>
    /// <param name="onOpened">Called with each new namespace before any program uses it: the front doors register here.</param>
    public Namespaces(TimeProvider time, ILoggerFactory logging, DatapathOptions options, Action<XfrmNamespace> onOpened)
    {
        (_time, _logging, _options, _onOpened) = (time, logging, options, onOpened);
        _census = TimeProvider.System.CreateTimer(static self => ((Namespaces)self!).EndDeserted(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Bits of a packet's mark that steering uses.</summary>
    public uint OwnedMark => _options.Steering.Marks.Owned;

    public XfrmNamespace Open(ulong inode, SafeFileHandle handle)
    {
        lock (_gate)
        {
            _deserted.Remove(inode);
            if (!_services.TryGetValue(inode, out NamespaceServices? services))
            {
                services = new NamespaceServices(inode, NetworkNamespace.Duplicate(handle), _time, _logging, _options, other => FindServices(other.Inode)?.Handle);
                _onOpened(services.Space);
                _services.Add(inode, services);
            }
            return services.Space;
        }
    }

    public bool TryReopen(XfrmNamespace space)
    {
        lock (_gate)
        {
            _deserted.Remove(space.Inode);
            return _services.TryGetValue(space.Inode, out NamespaceServices? services) && services.Space == space;
        }
    }

    /// <summary>What serves the namespace.</summary>
    public NamespaceServices ServicesOf(XfrmNamespace space)
    {
        lock (_gate)
        {
            return _services[space.Inode];
        }
    }

    /// <summary>What serves the namespace; null when it was deserted and has been closed.</summary>
    public NamespaceServices? FindServices(ulong inode)
    {
        lock (_gate)
        {
            return _services.GetValueOrDefault(inode);
        }
    }

    public INamespaceView? Find(ulong inode, int processId)
    {
        lock (_gate)
        {
            if (_services.TryGetValue(inode, out NamespaceServices? services))
            {
                return services;
            }
        }
        string path = string.Create(CultureInfo.InvariantCulture, $"/proc/{processId}/ns/net");
        if (NamespaceCensus.NumberOf(path) != inode || ProcFile.TryOpen(path) is not { } handle)
        {
            return null;
        }
        using (handle)
        {
            XfrmNamespace space = Open(inode, handle);
            LastSocketClosed(space);   // nobody has one: it ends with the namespace
            return FindServices(space.Inode);
        }
    }

    public void LastSocketClosed(XfrmNamespace space)
    {
        lock (_gate)
        {
            _deserted.Add(space.Inode);
            if (!_censusRuns)
            {
                _censusRuns = true;
                _census.Change(CensusInterval, CensusInterval);
            }
        }
    }

    public void Dispose()
    {
        _census.Dispose();
        NamespaceServices[] all;
        lock (_gate)
        {
            all = [.. _services.Values];
        }
        // Not under the gate: who holds that of a namespace may ask for its services.
        Array.ForEach(all, services => services.Dispose());
    }

    private void EndDeserted()
    {
        ulong[] asked;
        lock (_gate)
        {
            asked = [.. _deserted];
        }
        HashSet<ulong> gone = NamespaceCensus.EndedAmong(asked);
        List<NamespaceServices> ended = [];
        lock (_gate)
        {
            // One that has been opened meanwhile is not deserted any more.
            foreach (ulong inode in gone.Where(_deserted.Remove))
            {
                if (_services.Remove(inode, out NamespaceServices? services))
                {
                    ended.Add(services);
                }
            }
            if (_deserted.Count == 0)
            {
                _censusRuns = false;
                _census.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            }
        }
        foreach (NamespaceServices services in ended)
        {
            services.Dispose();
        }
    }
}
