using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

/// <summary>A dump under way: <c>pfkey_sock.dump</c>. Use under <see cref="XfrmNamespace.Gate"/>.</summary>
internal interface IPfKeyDump : IDisposable
{
    /// <summary>Whether there is another entry; passes those that the request does not want.</summary>
    bool HasNext();

    /// <summary>Writes the entry that comes next, without passing it. Null where PF_KEY cannot show it.</summary>
    PfKeyWriter? WriteNext(SadbMsg header);

    /// <summary>Passes the entry that was written.</summary>
    void Advance();
}
