using Microsoft.Extensions.Logging;
using Xfrmd.Attach;
using Xfrmd.Cli.Control;
using Xfrmd.Cli.Serve;
using Xfrmd.Crypto;
using Xfrmd.Datapath.Engine;
using Xfrmd.Netlink;
using Xfrmd.PfKey;

namespace Xfrmd.Cli;

/// <summary>The composition root: all that the daemon consists of, constructed in the order in which it depends on one another.</summary>
internal sealed class Composition : IDisposable
{
    private readonly Namespaces _namespaces;
    private readonly AttachServer _attach;
    private readonly ControlServer _control;

    private Composition(Namespaces namespaces, AttachServer attach, ControlServer control) =>
        (_namespaces, _attach, _control) = (namespaces, attach, control);

    public static Composition Create(ServeOptions options, TimeProvider time, ILoggerFactory logging)
    {
        // Loaded now: the first SA would wait for it longer than an IKE daemon does.
        string libraries = CryptoLibraries.InUse;
        NetlinkXfrmFamily netlink = new();
        PfKeyFamily pfKey = new();
        // Netlink first: Linux asks it before PF_KEY.
        Namespaces namespaces = new(time, logging, new DatapathOptions { Direct = !options.RawSockets }, space =>
        {
            netlink.Register(space);
            pfKey.Register(space);
        });
        ProtocolFamilies families = new ProtocolFamilies()
            .Add(ProtocolFamilies.Netlink, ProtocolFamilies.NetlinkXfrm, netlink)
            .Add(ProtocolFamilies.Key, null, pfKey);
        AttachServer attach = AttachServer.Start(options.Socket, families, new SocketHooks(namespaces, pfKey), namespaces, logging.CreateLogger("Xfrmd.Attach"));
        ControlServer control = ControlServer.Start(options.Socket, namespaces, logging.CreateLogger("Xfrmd.Control"));
        logging.CreateLogger("Xfrmd.Crypto").ComputesBy(libraries);
        return new Composition(namespaces, attach, control);
    }

    /// <summary>No more clients first, then no more steering: what policy covers stays covered until the end.</summary>
    public void Dispose()
    {
        _control.Dispose();
        _attach.Dispose();
        _namespaces.Dispose();
    }
}
