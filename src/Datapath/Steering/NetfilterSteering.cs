using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;
using Xfrmd.Linux.Process;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Steering with packet marks: nf_tables marks what a policy covers, a rule sends the mark to a table of our own, whose only routes are a
/// default into the TUN and, behind it, one that refuses. When the daemon dies the TUN goes and the rest stays: what policy covers is
/// refused, everything else goes on.
/// </summary>
/// <remarks>
/// Rules of four priorities, before charon's 220. N: steered though it came out of a TUN, to the table. N+1: <c>iif TUN goto N+3</c>.
/// N+2: steered, or emerged from a TUN, to the table. N+3: nothing, the goto's target. So three kinds of lookup get what they need, even
/// where the reverse path filter is strict and looks at marks (src_valid_mark, which the TUN has): a packet out of the TUN that goes on
/// to host or LAN is looked up with iif TUN, and passes N+2 by; its reverse path is looked up with iif lo or the LAN's, and leads back to
/// the TUN; the reverse path of a LAN's packet that is steered is looked up with iif TUN, and leads to the LAN.
/// A socket bound to an interface (SO_BINDTODEVICE) cannot be routed into a TUN: what policy covers is refused there.
/// </remarks>
public sealed partial class NetfilterSteering : ISteering
{
    private const uint UnreachableMetric = uint.MaxValue;

    /// <summary>
    /// Of a device that policies lead into: what fits depends on the SA, so the datapath answers packet by packet. An answer of the kernel's
    /// own for the device's sake would count for the peer's address too, and there be taken for the MTU of the path outside.
    /// </summary>
    private const int MaxMtu = 65535;

    /// <summary>Our own devices begin at index 4,240,000: see <see cref="TunOptions.FirstIndex"/>.</summary>
    private const int IndexesPerTable = 1000;
    private readonly Lock _lock = new();
    private readonly Spd _spd;
    private readonly SteeringOptions _options;
    private readonly ILogger _logger;
    private readonly SafeFileHandle _netns;
    private readonly NetfilterClient _netfilter;
    private readonly RouteClient _routes;
    private readonly NetfilterBatch _batch;
    private readonly NetfilterBaseRules _base;
    private readonly DeviceClasses _classes = new();
    private readonly HashSet<BypassPort> _bypassPorts = [];
    private readonly List<SteeringDevice> _down = [];
    private volatile SteeringDevice[] _devices = [];
    private readonly Action<uint, ulong> _takeHandle;
    private Chain[] _chains = [];
    private Pending _pending;
    private bool _canLog = true;
    private bool _disposed;

    private NetfilterSteering(SafeFileHandle netns, Spd spd, SteeringOptions options, ILogger logger, NetfilterClient netfilter, RouteClient routes)
    {
        (_netns, _spd, _options, _logger, _netfilter, _routes) = (netns, spd, options, logger, netfilter, routes);
        _takeHandle = TakeHandle;
        _batch = new NetfilterBatch(options.TableName);
        _base = new NetfilterBaseRules(_batch, options.Marks, options.LogGroup);
    }

    public IReadOnlyList<SteeringDevice> Devices => _devices;

    public Action<SteeringDevice>? DeviceAdded { get; set; }

    public Action<SteeringDevice>? DeviceRemoved { get; set; }

    /// <summary>
    /// Clears what an earlier run left, makes the device and the rules in the network namespace, and writes the policies that are there
    /// already. The caller holds <see cref="XfrmNamespace.Gate"/> and adds this to the namespace's observers.
    /// </summary>
    /// <param name="netns">The namespace; stays the caller's and open for as long as this lives.</param>
    /// <param name="spd">The policies.</param>
    /// <param name="options">Names and numbers.</param>
    /// <param name="logger">Where changes are told.</param>
    public static NetfilterSteering Start(SafeFileHandle netns, Spd spd, SteeringOptions options, ILogger logger)
    {
        int leftovers = RemoveLeftovers(netns, options);
        if (leftovers > 0)
        {
            logger.LeftoversRemoved(leftovers);
        }
        NetfilterSteering steering = NetworkNamespace.Run(
            netns, () => new NetfilterSteering(netns, spd, options, logger, new NetfilterClient(), new RouteClient()));
        try
        {
            lock (steering._lock)
            {
                steering.StartRouting();
                steering.StartRedirecting();
                steering.WriteEverything();
                steering.LinksChanged();
            }
            return steering;
        }
        catch
        {
            steering.Dispose();
            throw;
        }
    }

    /// <summary>Removes rules, routes and the table of a run that ended without doing so. Returns how many rules and routes there were.</summary>
    public static int RemoveLeftovers(SafeFileHandle netns, SteeringOptions options) => NetworkNamespace.Run(netns, () =>
    {
        using NetfilterClient netfilter = new();
        using RouteClient routes = new();
        NetfilterBatch batch = new(options.TableName);
        batch.AddTable();
        batch.DeleteTable();
        int errno = netfilter.Commit(batch);
        MarkRedirect.RemoveLeftovers(routes.Forwarding().Keys);
        return errno == 0 ? routes.RemoveOurs() : throw new LinuxException(errno, "nf_tables: remove table " + options.TableName);
    });

    public void PolicyInserted(Policy policy, Policy? replaced)
    {
        lock (_lock)
        {
            bool rewritten = CommitUnless(replaced is null ? Pending.Insertions : Pending.None);
            MakeDeviceFor(policy);
            if (rewritten || (_down.Count > 0 && CommitOrRewrite()))
            {
                return;   // the policy among all others
            }
            PolicyLayers layers = ChainOf(policy.Direction, policy.Type).Layers;
            if (replaced is null)
            {
                layers.Insert(policy);
            }
            else
            {
                layers.Replace(replaced, policy);
            }
            _pending = replaced is null ? Pending.Insertions : Pending.Mixed;
        }
    }

    public void PoliciesRemoved(IReadOnlyList<Policy> policies)
    {
        lock (_lock)
        {
            if (CommitUnless(Pending.Removals))
            {
                return;
            }
            foreach (Chain chain in _chains)
            {
                chain.Layers.Remove(policies);   // those of other directions it does not know
            }
            _pending = Pending.Removals;
        }
    }

    public void DefaultPolicyChanged()
    {
        // What there is to do WriteDefaults finds, which is part of settling.
    }

    public void PoliciesReordered()
    {
        lock (_lock)
        {
            Rewrite();
        }
    }

    /// <summary>
    /// One transaction for all that has been put off: so many policies of one datagram cost little more than one. Whatever is told to anybody
    /// is told afterwards.
    /// </summary>
    public void Settle()
    {
        lock (_lock)
        {
            if (!_disposed)
            {
                WriteDefaults();
                CommitOrRewrite();
            }
        }
    }

    public void SocketPolicyChanged(ulong socketInode, Policy? inbound, Policy? outbound)
    {
        // What they mean comes through SetBypassPorts and SetSocketClass.
    }

    public void SaInserted(SecurityAssociation sa)
    {
        if (sa.IfId != 0)
        {
            DeviceFor(sa.IfId);
        }
    }

    public void SasRemoved(IReadOnlyList<SecurityAssociation> sas)
    {
        // Policies alone steer.
    }

    public void SetBypassPorts(IReadOnlyCollection<BypassPort> ports)
    {
        lock (_lock)
        {
            ReadOnlyMemory<byte>[] gone = [.. _bypassPorts.Except(ports).Select(NetfilterBaseRules.Key)];
            ReadOnlyMemory<byte>[] added = [.. ports.Except(_bypassPorts).Select(NetfilterBaseRules.Key)];
            _bypassPorts.Clear();
            _bypassPorts.UnionWith(ports);
            _batch.DeleteElements(NetfilterBaseRules.BypassPorts, gone);
            _batch.AddElements(NetfilterBaseRules.BypassPorts, added);
            CommitOrRewrite();
        }
    }

    public IReadOnlyDictionary<XfrmCounter, long> ReadCounters()
    {
        lock (_lock)
        {
            IReadOnlyDictionary<string, long> named = _netfilter.ReadCounters(_options.TableName);
            Dictionary<XfrmCounter, long> counters = [];
            foreach (NetfilterDropChain chain in NetfilterDropChain.All)
            {
                if (chain.Counter is { } counter)
                {
                    counters[counter] = named.GetValueOrDefault(chain.CounterName!);
                }
            }
            return counters;
        }
    }

    /// <summary>Begins to listen to what the rules drop.</summary>
    public IDropSource OpenDrops() => NetfilterDrops.Open(_netns, _options, _canLog);

    public string Explain(in Flow flow, PolicyDirection direction)
    {
        lock (_lock)
        {
            Policy? policy = _spd.Find(flow, direction);
            Chain chain = ChainOf(direction, policy?.Type ?? PolicyType.Main);
            if (policy is null)
            {
                return _spd.Default(direction) == PolicyAction.Block
                    ? $"no policy matches; dropped by nft chain {NetfilterBaseRules.DefaultChain(chain.Kinds[0])}"
                    : "no policy matches; passes in clear";
            }
            RuleGroup? group = chain.Layers.GroupOf(policy);
            string rule = group is null
                ? "not shown in any rule"
                : $"nft table inet {_options.TableName}, chain {chain.Rules.Name}, rule {group.Rules[0].Handle}" + (group.SetName.Length > 0 ? ", set " + group.SetName : "");
            string result = group?.Verdict switch
            {
                { Action: SteeringAction.Protect } verdict => $"goes to {DeviceOfClass(verdict.DeviceClass)?.Tun.Name} (table {_options.RoutingTable + verdict.DeviceClass})",
                { Action: SteeringAction.Bypass } => policy.Type == PolicyType.Main ? "passes in clear" : "goes on to the main policies",
                { Action: SteeringAction.Block } => $"dropped, {(chain.Direction == PolicyDirection.Out ? NetfilterDropChain.OutBlock : NetfilterDropChain.InBlock).CounterName}",
                { Action: SteeringAction.Require } => $"dropped if it comes in clear, {NetfilterDropChain.Require.CounterName}",
                _ => "passes in clear",
            };
            return $"policy {policy.Index} priority {policy.Priority}: {result} ({rule})";
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }
            _disposed = true;
            _batch.Clear();
            _batch.AddTable();
            _batch.DeleteTable();
            _netfilter.Commit(_batch);
            StopRedirecting();
            _routes.RemoveOurs();
            foreach (SteeringDevice device in _devices)
            {
                device.Dispose();
            }
            _netfilter.Dispose();
            _routes.Dispose();
        }
    }

    private SteeringVerdict? OutVerdict(Policy policy) => policy switch
    {
        { IfId: not 0 } => null,
        { Action: PolicyAction.Block } => new SteeringVerdict(SteeringAction.Block),
        { TemplateArray.Length: 0 } => new SteeringVerdict(SteeringAction.Bypass),
        _ => _classes.NumberOf(policy) is { } number ? new SteeringVerdict(SteeringAction.Protect, number) : new SteeringVerdict(SteeringAction.Block),
    };

    private static SteeringVerdict? InboundVerdict(Policy policy) => policy switch
    {
        { IfId: not 0 } => null,
        // The route of a packet for this host leads to lo: for IPv4 that is the interface that Linux compares.
        { Direction: PolicyDirection.In, Selector: { Family: AddressFamily.Inet, Ifindex: not 0 and not 1 } } => null,
        { Action: PolicyAction.Block } => new SteeringVerdict(SteeringAction.Block),
        { TemplateArray: var templates } when Array.Exists(templates, static t => !t.IsOptional) => new SteeringVerdict(SteeringAction.Require),
        _ => new SteeringVerdict(SteeringAction.Bypass),
    };

    /// <summary>Fills the four default chains where SETDEFAULT says block: <c>__xfrm_policy_check</c> counts what it drops, <c>xfrm_lookup</c> does not.</summary>
    private void WriteDefaults()
    {
        foreach (Chain chain in _chains.Where(static c => c.Type == PolicyType.Main))
        {
            DefaultRule wanted = _spd.Default(chain.Direction) == PolicyAction.Allow ? DefaultRule.None
                : chain.Direction == PolicyDirection.Out ? DefaultRule.Drop : DefaultRule.CountAndDrop;
            if (wanted == chain.Default)
            {
                continue;
            }
            chain.Default = wanted;
            foreach (PolicyChainKind kind in chain.Kinds.Where(static k => !NetfilterPolicyChain.IsOfErrors(k)))
            {
                _batch.FlushChain(NetfilterBaseRules.DefaultChain(kind));
                if (wanted != DefaultRule.None)
                {
                    _base.WriteDefault(kind, wanted == DefaultRule.CountAndDrop ? NetfilterDropChain.NoPolicy : NetfilterDropChain.Default);
                }
            }
        }
    }

    private void WriteEverything()
    {
        int errno = CommitEverything();
        while (errno != 0 && TryDoWithLess())
        {
            errno = CommitEverything();
        }
        if (errno != 0)
        {
            throw new LinuxException(errno, "nf_tables: write table " + _options.TableName);
        }
        BringUpDevices();
    }

    /// <summary>The kernel may lack the expressions for some of it.</summary>
    private bool TryDoWithLess()
    {
        if (_canMatchSockets && _sockets.Count > 0)
        {
            _canMatchSockets = false;
            return true;
        }
        bool could = _canLog;
        _canLog = false;
        return could;
    }

    /// <summary>All rules as one transaction. Returns 0 or the kernel's error.</summary>
    private int CommitEverything()
    {
        _batch.Clear();
        _batch.AddTable();
        _batch.DeleteTable();
        _batch.AddTable();
        _base.Write(_canLog);
        foreach (SteeringDevice device in _devices)
        {
            _base.WriteIngressOf(device);
        }
        _batch.AddElements(NetfilterBaseRules.BypassPorts, _bypassPorts.Select(NetfilterBaseRules.Key));
        _batch.AddElements(NetfilterBaseRules.Redirecting, _redirect?.Links.Select(Key) ?? []);
        _chains =
        [
            .. NewChains(PolicyDirection.Out, PolicyChainKind.Out, PolicyChainKind.OutForwarded, PolicyChainKind.OutErrors),
            .. NewChains(PolicyDirection.In, PolicyChainKind.In),
            .. NewChains(PolicyDirection.Fwd, PolicyChainKind.Fwd, PolicyChainKind.FwdErrors),
        ];
        foreach (Policy policy in _chains.Where(static c => c.Type == PolicyType.Main).SelectMany(c => _spd.Ordered(c.Direction)))
        {
            MakeDeviceFor(policy);
            ChainOf(policy.Direction, policy.Type).Layers.Insert(policy);
        }
        WriteDefaults();
        WriteSocketClasses();
        return _netfilter.Commit(_batch, _takeHandle);
    }

    private Chain[] NewChains(PolicyDirection direction, params PolicyChainKind[] kinds)
    {
        Func<Policy, SteeringVerdict?> verdictOf = direction == PolicyDirection.Out ? OutVerdict : InboundVerdict;
        return Array.ConvertAll((PolicyType[])[PolicyType.Main, PolicyType.Sub], type =>
        {
            NetfilterPolicyChain rules = new(_batch, _options.Marks, type, kinds);
            return new Chain(direction, type, kinds, rules, new PolicyLayers(rules, verdictOf, ~_options.Marks.Owned));
        });
    }

    private Chain ChainOf(PolicyDirection direction, PolicyType type)
    {
        int main = direction switch
        {
            PolicyDirection.Out => 0,
            PolicyDirection.In => 2,
            _ => 4,
        };
        return _chains[type == PolicyType.Main ? main : main + 1];
    }

    /// <summary>
    /// Additions may be put off together, and so may removals. Where one kind follows the other they are two transactions: what is taken away
    /// has been there. True: see <see cref="CommitOrRewrite"/>.
    /// </summary>
    private bool CommitUnless(Pending allowed) => _pending != Pending.None && _pending != allowed && CommitOrRewrite();

    /// <summary>True: what was written would not do, and all rules were made anew from the policies that are there now.</summary>
    private bool CommitOrRewrite()
    {
        _pending = Pending.None;
        if (_batch.IsEmpty)
        {
            return false;
        }
        int errno = _netfilter.Commit(_batch, _takeHandle);
        if (errno == 0)
        {
            BringUpDevices();
            return false;
        }
        _logger.Rewriting(errno);
        Rewrite();
        return true;
    }

    private void Rewrite()
    {
        _pending = Pending.None;
        try
        {
            WriteEverything();
        }
        catch (LinuxException e)
        {
            _logger.Broken(e.Message);   // the rules of the last good transaction stand
        }
    }

    private void TakeHandle(uint id, ulong handle)
    {
        foreach (Chain chain in _chains)
        {
            if (chain.Rules.TakeHandle(id, handle))
            {
                return;
            }
        }
        foreach (SocketChains chains in _sockets)
        {
            if (chains.TakeHandle(id, handle))
            {
                return;
            }
        }
    }

    private enum Pending { None, Insertions, Removals, Mixed }

    private enum DefaultRule { None, Drop, CountAndDrop }

    private sealed class Chain(PolicyDirection direction, PolicyType type, PolicyChainKind[] kinds, NetfilterPolicyChain rules, PolicyLayers layers)
    {
        public PolicyDirection Direction { get; } = direction;

        public PolicyType Type { get; } = type;

        public PolicyChainKind[] Kinds { get; } = kinds;

        public NetfilterPolicyChain Rules { get; } = rules;

        public PolicyLayers Layers { get; } = layers;

        public DefaultRule Default { get; set; }
    }
}
