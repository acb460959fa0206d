using System.Runtime.InteropServices;
using Xfrmd.Kernel;
using Xfrmd.PfKey.Abi;
using Xfrmd.PfKey.Codec;

namespace Xfrmd.PfKey;

internal sealed partial class PfKeySocket
{
    private const double DumpStops = 2.0 / 3, DumpGoesOn = 1.0 / 3;
    private IPfKeyDump? _dump;
    private SadbMsg _dumpHeader;
    private PfKeyWriter? _held;   // pfk->dump.skb: the last record is known as such only when no other follows
    private uint _dumped;

    /// <summary>One at a time: EBUSY until the last record is queued.</summary>
    public bool IsDumping => _dump is not null;

    /// <summary><c>pfkey_do_dump</c>. An error is answered with a message of its own.</summary>
    /// <param name="header">What each record's header takes type and pid from.</param>
    /// <param name="dump">The dump; the socket owns it.</param>
    public Errno StartDump(in SadbMsg header, IPfKeyDump dump)
    {
        _dump = dump;
        _dumpHeader = new SadbMsg { Version = header.Version, Type = header.Type, Pid = header.Pid };
        _dumped = 0;
        return ContinueDump(dump);
    }

    private Errno ContinueDump(IPfKeyDump dump)
    {
        Errno outcome = Errno.None;
        while (dump.HasNext())
        {
            _dumpHeader.Seq = _dumped + 1;
            PfKeyWriter? next = dump.WriteNext(_dumpHeader);
            if (next is null)
            {
                outcome = Errno.EINVAL;
                break;
            }
            if (_held is not null && !TrySendHeld())
            {
                next.Dispose();
                return Errno.None;   // goes on when the program has read
            }
            _held = next;
            dump.Advance();
            _dumped++;
        }
        if (_dumped == 0 && outcome == Errno.None)
        {
            outcome = Errno.ENOENT;
        }
        if (_held is not null)
        {
            ref SadbMsg last = ref MemoryMarshal.AsRef<SadbMsg>(_held.Written);
            last.Seq = 0;
            last.Errno = unchecked((byte)-(int)outcome);
            if (!TrySendHeld())
            {
                return Errno.None;
            }
        }
        EndDump();
        return outcome;
    }

    private bool TrySendHeld()
    {
        // pfkey_can_dump
        if (_held is null || _buffer.Fullness > DumpStops || !_namespace.SendToOne(this, _held.Written))
        {
            return false;
        }
        _held.Dispose();
        _held = null;
        return true;
    }

    // pfkey_recvmsg
    private void ResumeDump()
    {
        if (_dump is { } dump && _buffer.Fullness <= DumpGoesOn)
        {
            ContinueDump(dump);
        }
    }

    // pfkey_terminate_dump
    private void EndDump()
    {
        _held?.Dispose();
        _held = null;
        _dump?.Dispose();
        _dump = null;
    }
}
