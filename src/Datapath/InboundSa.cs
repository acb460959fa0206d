using Xfrmd.Crypto;
using Xfrmd.Kernel;

namespace Xfrmd.Datapath;

/// <summary>One SA as one worker receives through it: its contexts. Not thread safe.</summary>
internal sealed class InboundSa(SecurityAssociation sa) : IDisposable
{
    public SecurityAssociation Sa { get; } = sa;
    public EspContext? Esp { get; } = sa.Esp?.CreateContext();
    public AuthContext? Ah { get; } = sa.Ah?.CreateContext();

    /// <summary>IP-TFS: what came too early or in part.</summary>
    public IptfsReceiver? Iptfs { get; set; }

    /// <summary>IP-TFS: the SAs that its payloads came through.</summary>
    public SecurityAssociation[] Path { get; set; } = [];

    /// <summary>IP-TFS: the mark of its last payload.</summary>
    public uint Mark { get; set; }
    public int IvLength { get; } = sa.Esp?.IvLength ?? 0;
    public int IcvLength { get; } = sa.Esp?.IcvLength ?? sa.Ah?.IcvLength ?? 0;

    public void Dispose()
    {
        Esp?.Dispose();
        Ah?.Dispose();
    }
}
