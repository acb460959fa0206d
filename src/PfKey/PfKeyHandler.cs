using System.Collections.Frozen;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary>
/// What PF_KEY does with messages. Mirrors net/key/af_key.c. All of it runs under <see cref="XfrmNamespace.Gate"/>. Files: PfKeyHandler.cs
/// dispatch, .State.cs SAs, .Construct.cs how an SA is made of a message, .Register.cs REGISTER and X_PROMISC, .Flush.cs, .Dump.cs,
/// .Policy.cs policies, .Migrate.cs.
/// </summary>
internal sealed partial class PfKeyHandler
{
    private readonly PfKeyNamespace _namespace;
    private readonly XfrmNamespace _space;

    public PfKeyHandler(PfKeyNamespace space)
    {
        _namespace = space;
        _space = space.Space;
    }

    private delegate Errno Doit(PfKeyHandler handler, PfKeySocket socket, in SadbMessage message);

    // pfkey_funcs. What is not in it (EXPIRE, X_PCHANGE, X_SPDACQUIRE, X_SPDEXPIRE, X_NAT_T_NEW_MAPPING) is refused with EOPNOTSUPP.
    private static readonly FrozenDictionary<SadbType, Doit> Dispatch = new Dictionary<SadbType, Doit>
    {
        [SadbType.GetSpi] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.GetSpi(s, m),
        [SadbType.Update] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.AddSa(m),
        [SadbType.Add] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.AddSa(m),
        [SadbType.Delete] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.DeleteSa(m),
        [SadbType.Get] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.GetSa(s, m),
        [SadbType.Acquire] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.RefuseAcquire(m),
        [SadbType.Register] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.Register(s, m),
        [SadbType.Flush] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.FlushSas(s, m),
        [SadbType.Dump] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.DumpSas(s, m),
        [SadbType.XPromisc] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.SetPromiscuous(s, m),
        [SadbType.XSpdUpdate] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.AddPolicy(m),
        [SadbType.XSpdAdd] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.AddPolicy(m),
        [SadbType.XSpdDelete] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.DeletePolicy(m),
        [SadbType.XSpdGet] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.GetPolicy(s, m),
        [SadbType.XSpdDump] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.DumpPolicies(s, m),
        [SadbType.XSpdFlush] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.FlushPolicies(s, m),
        [SadbType.XSpdSetIdx] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.AddPolicy(m),
        [SadbType.XSpdDelete2] = static (PfKeyHandler h, PfKeySocket s, in SadbMessage m) => h.GetPolicy(s, m),
        [SadbType.XMigrate] = static (PfKeyHandler h, PfKeySocket _, in SadbMessage m) => h.Migrate(m),
    }.ToFrozenDictionary();

    /// <summary><c>pfkey_process</c>: what is returned is answered with a message.</summary>
    public Errno Handle(PfKeySocket socket, ref SadbMessage message)
    {
        _namespace.SendToPromiscuous(message.Bytes);
        Errno errno = message.ParseExtensions();
        if (errno != Errno.None)
        {
            return errno;
        }
        return Dispatch.TryGetValue(message.Header.Type, out Doit? handler) ? handler(this, socket, message) : Errno.EOPNOTSUPP;
    }

    // The header of an answer that carries the request's type, seq and pid.
    private static SadbMsg ReplyHeader(in SadbMessage message, SadbSatype satype) => new()
    {
        Version = message.Header.Version,
        Type = message.Header.Type,
        Satype = satype,
        Seq = message.Header.Seq,
        Pid = message.Header.Pid,
    };
}
