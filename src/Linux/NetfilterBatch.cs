using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Xfrmd.Linux;

/// <summary>
/// One transaction of nf_tables: the kernel takes all of it or nothing. Messages are written in order; a rule is built by the expression
/// methods between <see cref="BeginRule"/> and <see cref="EndRule"/>. Layouts: uapi/linux/netfilter/nf_tables.h.
/// </summary>
/// <remarks>Registers are the sixteen of four bytes each (NFT_REG32_00 + n), named here by n.</remarks>
public sealed class NetfilterBatch
{
    private const byte NFPROTO_INET = 1, NFPROTO_NETDEV = 5;
    private const uint NFT_TABLE_F_OWNER = 2;
    private const ushort NFNL_SUBSYS_NFTABLES = 10, NFNL_MSG_BATCH_BEGIN = 16, NFNL_MSG_BATCH_END = 17;
    private const ushort NFT_MSG_NEWTABLE = 0, NFT_MSG_DELTABLE = 2, NFT_MSG_NEWCHAIN = 3, NFT_MSG_NEWRULE = 6, NFT_MSG_DELRULE = 8,
        NFT_MSG_NEWSET = 9, NFT_MSG_DELSET = 11, NFT_MSG_NEWSETELEM = 12, NFT_MSG_DELSETELEM = 14, NFT_MSG_NEWOBJ = 18;
    private const ushort NFTA_EXPR_NAME = 1, NFTA_EXPR_DATA = 2, NFTA_LIST_ELEM = 1, NFTA_DATA_VALUE = 1, NFTA_DATA_VERDICT = 2;
    private const uint NFT_REG32_00 = 8, NFT_OBJECT_COUNTER = 1;
    private const int MaxNest = 60_000;   // an attribute's length has sixteen bits
    private readonly NetlinkWriter _writer = new();
    private readonly string _table;
    private readonly byte _family;
    private int _expressions;
    private int _element;
    private readonly Dictionary<string, SetElements> _waiting = [];
    private readonly Stack<SetElements> _spare = [];
    private SetElements? _elements;
    private ushort _elementsType;

    /// <param name="table">The table that all of it is about.</param>
    /// <param name="ofDevices">Its chains hang on devices (family netdev), not on protocols (family inet).</param>
    public NetfilterBatch(string table, bool ofDevices = false)
    {
        _table = table;
        _family = ofDevices ? NFPROTO_NETDEV : NFPROTO_INET;
        Clear();
    }

    /// <summary>The transaction has no message yet.</summary>
    public bool IsEmpty { get; private set; }

    public void Clear()
    {
        ForgetElements();
        _writer.Clear();
        Begin(NFNL_MSG_BATCH_BEGIN, 0, subsystem: 0, resource: NFNL_SUBSYS_NFTABLES);
        _writer.EndMessage();
        IsEmpty = true;
    }

    /// <summary>Writes the end of the transaction.</summary>
    public ReadOnlySpan<byte> Finish()
    {
        WriteElements();
        _writer.AddFlagsToLast(NetlinkConstants.NLM_F_ACK);
        Begin(NFNL_MSG_BATCH_END, 0, subsystem: 0, resource: NFNL_SUBSYS_NFTABLES);
        _writer.EndMessage();
        return _writer.Written;
    }

    public void AddTable() => Message(NFT_MSG_NEWTABLE, NetlinkConstants.NLM_F_CREATE, 1);

    /// <summary>A table that goes with the socket of the client that makes it.</summary>
    public void AddOwnedTable()
    {
        BeginIn(NFT_MSG_NEWTABLE, NetlinkConstants.NLM_F_CREATE);
        _writer.Be32(2, NFT_TABLE_F_OWNER);
        _writer.EndMessage();
    }

    /// <summary>Removes the table and all in it. It must exist in this transaction: call <see cref="AddTable"/> before.</summary>
    public void DeleteTable() => Message(NFT_MSG_DELTABLE, 0, 1);

    /// <summary>A chain that only jumps reach.</summary>
    public void AddChain(string name)
    {
        BeginIn(NFT_MSG_NEWCHAIN, NetlinkConstants.NLM_F_CREATE);
        _writer.Text(3, name);
        _writer.EndMessage();
    }

    /// <summary>A base chain: type is "filter" or, to route anew what changed its mark, "route".</summary>
    public void AddBaseChain(string name, string type, NetfilterHook hook, int priority)
    {
        BeginIn(NFT_MSG_NEWCHAIN, NetlinkConstants.NLM_F_CREATE);
        _writer.Text(3, name);
        int nest = _writer.BeginNest(4);
        _writer.Be32(1, (uint)hook);
        _writer.Be32(2, unchecked((uint)priority));
        _writer.EndNest(nest);
        _writer.Be32(5, 1);   // NF_ACCEPT
        _writer.Text(7, type);
        _writer.EndMessage();
    }

    /// <summary>A base chain that sees what comes in on a device before any protocol does.</summary>
    public void AddIngressChain(string name, string device, int priority)
    {
        BeginIn(NFT_MSG_NEWCHAIN, NetlinkConstants.NLM_F_CREATE);
        _writer.Text(3, name);
        int nest = _writer.BeginNest(4);
        _writer.Be32(1, 0);   // NF_NETDEV_INGRESS
        _writer.Be32(2, unchecked((uint)priority));
        _writer.Text(3, device);
        _writer.EndNest(nest);
        _writer.Be32(5, 1);   // NF_ACCEPT
        _writer.Text(7, "filter");
        _writer.EndMessage();
    }

    public void AddCounter(string name)
    {
        BeginIn(NFT_MSG_NEWOBJ, NetlinkConstants.NLM_F_CREATE);
        _writer.Text(2, name);
        _writer.Be32(3, NFT_OBJECT_COUNTER);
        _writer.EndNest(_writer.BeginNest(4));
        _writer.EndMessage();
    }

    /// <summary>A set of exact keys (a hash table in the kernel).</summary>
    /// <param name="name">Its name in the table.</param>
    /// <param name="id">A number that is unique in this transaction.</param>
    /// <param name="keyLength">Bytes of a key: a single field, or fields one behind the other, each padded to four.</param>
    /// <param name="keyType">How the nft program shows a key: its data types' numbers, six bits each.</param>
    /// <param name="hostOrder">The key is a number or name in host byte order: for the nft program too.</param>
    /// <param name="size">How many keys it will have at most, where that is known: a plain table then, which is quicker to look into.</param>
    public void AddSet(string name, uint id, int keyLength, uint keyType, bool hostOrder = false, int size = 0)
    {
        BeginIn(NFT_MSG_NEWSET, NetlinkConstants.NLM_F_CREATE | NetlinkConstants.NLM_F_EXCL);
        _writer.Text(2, name);
        _writer.Be32(3, 0);
        _writer.Be32(4, keyType);
        _writer.Be32(5, (uint)keyLength);
        _writer.Be32(10, id);
        if (size > 0)
        {
            int description = _writer.BeginNest(9);   // NFTA_SET_DESC
            _writer.Be32(1, (uint)size);
            _writer.EndNest(description);
        }
        if (hostOrder)
        {
            _writer.Bytes(13, [0, 4, 1, 0, 0, 0]);   // NFTA_SET_USERDATA: NFTNL_UDATA_SET_KEYBYTEORDER, BYTEORDER_HOST_ENDIAN
        }
        _writer.EndMessage();
    }

    public void DeleteSet(string name)
    {
        BeginIn(NFT_MSG_DELSET, 0);
        _writer.Text(2, name);
        _writer.EndMessage();
    }

    public void AddElements(string set, IEnumerable<ReadOnlyMemory<byte>> keys) => Elements(NFT_MSG_NEWSETELEM, set, keys);

    public void DeleteElements(string set, IEnumerable<ReadOnlyMemory<byte>> keys) => Elements(NFT_MSG_DELSETELEM, set, keys);

    public void AddElement(string set, ReadOnlyMemory<byte> key) => Element(NFT_MSG_NEWSETELEM, set, key);

    public void DeleteElement(string set, ReadOnlyMemory<byte> key) => Element(NFT_MSG_DELSETELEM, set, key);

    /// <summary>
    /// Starts a rule: at the chain's end, at its beginning, or behind another one that is named by its handle or, added in this same
    /// transaction, by its id. Returns that id; the kernel's echo brings the handle that belongs to it.
    /// </summary>
    public uint BeginRule(string chain, in NetfilterRulePlace place)
    {
        int echo = NetlinkConstants.NLM_F_ECHO | (place.IsFirst ? 0 : NetlinkConstants.NLM_F_APPEND);
        BeginIn(NFT_MSG_NEWRULE, (ushort)(NetlinkConstants.NLM_F_CREATE | echo));
        uint id = _writer.Sequence;
        _writer.Text(2, chain);
        _writer.Be32(9, id);
        if (place.BehindHandle != 0)
        {
            _writer.Be64(6, place.BehindHandle);
        }
        else if (place.BehindId != 0)
        {
            _writer.Be32(10, place.BehindId);
        }
        _expressions = _writer.BeginNest(4);
        return id;
    }

    public void EndRule()
    {
        _writer.EndNest(_expressions);
        _writer.EndMessage();
    }

    /// <summary>Removes every rule of a chain.</summary>
    public void FlushChain(string chain)
    {
        BeginIn(NFT_MSG_DELRULE, 0);
        _writer.Text(2, chain);
        _writer.EndMessage();
    }

    /// <summary>Removes a rule, named by its handle or, where this same transaction adds it (handle 0), by its id.</summary>
    public void DeleteRule(string chain, ulong handle, uint id)
    {
        BeginIn(NFT_MSG_DELRULE, 0);
        _writer.Text(2, chain);
        if (handle != 0)
        {
            _writer.Be64(3, handle);
        }
        else
        {
            _writer.Be32(9, id);
        }
        _writer.EndMessage();
    }

    /// <summary>Bytes of the network header into a register.</summary>
    public void LoadNetwork(int register, int offset, int length) => Payload(register, networkHeader: true, offset, length);

    /// <summary>Bytes of the transport header into a register; a later fragment has none and leaves the rule.</summary>
    public void LoadTransport(int register, int offset, int length) => Payload(register, networkHeader: false, offset, length);

    public void LoadMeta(int register, NetfilterMeta key)
    {
        int data = BeginExpression("meta");
        _writer.Be32(1, Register(register));
        _writer.Be32(2, (uint)key);
        EndExpression(data);
    }

    /// <summary>SO_MARK of the socket that takes the packet; a packet that none takes does not match.</summary>
    public void LoadSocketMark(int register)
    {
        int data = BeginExpression("socket");
        _writer.Be32(1, 1);   // NFT_SOCKET_MARK
        _writer.Be32(2, Register(register));
        EndExpression(data);
    }

    public void StoreMark(int register)
    {
        int data = BeginExpression("meta");
        _writer.Be32(2, (uint)NetfilterMeta.Mark);
        _writer.Be32(3, Register(register));
        EndExpression(data);
    }

    /// <summary>What a route lookup of the destination says: its type (RTN_*), or the interface that it leaves by.</summary>
    public void LoadRoute(int register, bool addressType)
    {
        int data = BeginExpression("fib");
        _writer.Be32(1, Register(register));
        _writer.Be32(2, addressType ? 3u : 1u);   // NFT_FIB_RESULT_ADDRTYPE, NFT_FIB_RESULT_OIF
        _writer.Be32(3, 2);                       // NFTA_FIB_F_DADDR
        EndExpression(data);
    }

    /// <summary>1 into the register where the packet has this IPv6 extension header, 0 where not.</summary>
    public void LoadExtensionHeaderPresence(int register, byte type)
    {
        int data = BeginExpression("exthdr");
        _writer.Be32(1, Register(register));
        _writer.Byte(2, type);
        _writer.Be32(3, 0);
        _writer.Be32(4, 1);
        _writer.Be32(5, 1);   // NFT_EXTHDR_F_PRESENT
        _writer.Be32(6, 0);   // NFT_EXTHDR_OP_IPV6
        EndExpression(data);
    }

    /// <summary>Bytes of an IPv6 extension header; a packet without it does not match.</summary>
    public void LoadExtensionHeader(int register, byte type, int offset, int length)
    {
        int data = BeginExpression("exthdr");
        _writer.Be32(1, Register(register));
        _writer.Byte(2, type);
        _writer.Be32(3, (uint)offset);
        _writer.Be32(4, (uint)length);
        _writer.Be32(6, 0);   // NFT_EXTHDR_OP_IPV6
        EndExpression(data);
    }

    /// <summary>register = (register AND mask) XOR xor.</summary>
    public void Mask(int register, ReadOnlySpan<byte> mask, ReadOnlySpan<byte> xor = default)
    {
        Span<byte> zero = stackalloc byte[16];
        zero.Clear();
        int data = BeginExpression("bitwise");
        _writer.Be32(1, Register(register));
        _writer.Be32(2, Register(register));
        _writer.Be32(3, (uint)mask.Length);
        Value(4, mask);
        Value(5, xor.IsEmpty ? zero[..mask.Length] : xor);
        EndExpression(data);
    }

    public void Mask(int register, uint mask, uint xor = 0) =>
        Mask(register, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in mask)), MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in xor)));

    /// <summary>The rule goes on only where the register holds (or, negated, does not hold) the value.</summary>
    public void Compare(int register, ReadOnlySpan<byte> value, bool equal = true)
    {
        int data = BeginExpression("cmp");
        _writer.Be32(1, Register(register));
        _writer.Be32(2, equal ? 0u : 1u);
        Value(3, value);
        EndExpression(data);
    }

    public void Compare(int register, uint hostOrder, bool equal = true) =>
        Compare(register, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in hostOrder)), equal);

    /// <summary>The rule goes on only where the register lies between the two, as numbers in network byte order.</summary>
    public void CompareRange(int register, ReadOnlySpan<byte> from, ReadOnlySpan<byte> to)
    {
        for (int end = 0; end < 2; end++)
        {
            int data = BeginExpression("cmp");
            _writer.Be32(1, Register(register));
            _writer.Be32(2, end == 0 ? 5u : 3u);   // NFT_CMP_GTE, NFT_CMP_LTE
            Value(3, end == 0 ? from : to);
            EndExpression(data);
        }
    }

    /// <summary>The rule goes on only where the key that begins in the register is (or is not) in the set.</summary>
    public void Lookup(int register, string set, bool present = true)
    {
        int data = BeginExpression("lookup");
        _writer.Text(1, set);
        _writer.Be32(2, Register(register));
        if (!present)
        {
            _writer.Be32(5, 1);   // NFT_LOOKUP_F_INV
        }
        EndExpression(data);
    }

    public void Count(string counter)
    {
        int data = BeginExpression("objref");
        _writer.Be32(1, NFT_OBJECT_COUNTER);
        _writer.Text(2, counter);
        EndExpression(data);
    }

    /// <summary>The rule goes on only so many times a second.</summary>
    public void Limit(uint perSecond)
    {
        int data = BeginExpression("limit");
        _writer.Be64(1, perSecond);
        _writer.Be64(2, 1);   // NFTA_LIMIT_UNIT: seconds
        _writer.Be32(3, perSecond);
        _writer.Be32(4, 0);   // NFT_LIMIT_PKTS
        _writer.Be32(5, 0);
        EndExpression(data);
    }

    /// <summary>Shows the packet to who listens to this group of nfnetlink_log: <see cref="NetfilterLog"/>.</summary>
    public void Log(ushort group, string prefix)
    {
        int data = BeginExpression("log");
        _writer.Be16(1, group);
        _writer.Text(2, prefix);
        EndExpression(data);
    }

    public void Accept() => Verdict(1, null);

    public void Drop() => Verdict(0, null);

    public void Return() => Verdict(unchecked((uint)-5), null);

    public void Jump(string chain) => Verdict(unchecked((uint)-3), chain);

    public void Goto(string chain) => Verdict(unchecked((uint)-4), chain);

    private static uint Register(int register) => NFT_REG32_00 + (uint)register;

    private void Verdict(uint code, string? chain)
    {
        int data = BeginExpression("immediate");
        _writer.Be32(1, 0);   // NFT_REG_VERDICT
        int outer = _writer.BeginNest(2);
        int verdict = _writer.BeginNest(NFTA_DATA_VERDICT);
        _writer.Be32(1, code);
        if (chain is not null)
        {
            _writer.Text(2, chain);
        }
        _writer.EndNest(verdict);
        _writer.EndNest(outer);
        EndExpression(data);
    }

    private void Payload(int register, bool networkHeader, int offset, int length)
    {
        int data = BeginExpression("payload");
        _writer.Be32(1, Register(register));
        _writer.Be32(2, networkHeader ? 1u : 2u);
        _writer.Be32(3, (uint)offset);
        _writer.Be32(4, (uint)length);
        EndExpression(data);
    }

    private void Value(ushort type, ReadOnlySpan<byte> value)
    {
        int nest = _writer.BeginNest(type);
        _writer.Bytes(NFTA_DATA_VALUE, value);
        _writer.EndNest(nest);
    }

    private void Elements(ushort type, string set, IEnumerable<ReadOnlyMemory<byte>> keys)
    {
        foreach (ReadOnlyMemory<byte> key in keys)
        {
            Element(type, set, key);
        }
    }

    /// <summary>Elements wait for the next message of another kind: those of one set share a message, though they come in turn with another set's.</summary>
    private void Element(ushort type, string set, ReadOnlyMemory<byte> key)
    {
        if (type != _elementsType)
        {
            WriteElements();
            _elementsType = type;
        }
        if (_elements?.Set != set && !_waiting.TryGetValue(set, out _elements))
        {
            _elements = _spare.TryPop(out SetElements? spare) ? spare : new SetElements();
            _elements.Set = set;
            _waiting.Add(set, _elements);
        }
        _elements.Keys.Add(key);
        IsEmpty = false;
    }

    private void ForgetElements()
    {
        const int most = 4096;
        foreach (SetElements elements in _waiting.Values)
        {
            elements.Keys.Clear();
            if (elements.Keys.Capacity <= most)
            {
                _spare.Push(elements);
            }
        }
        _waiting.Clear();
        _elements = null;
    }

    private void WriteElements()
    {
        if (_elements is null)
        {
            return;
        }
        _elements = null;   // what is begun below has nothing to write before it
        foreach (SetElements elements in _waiting.Values)
        {
            int list = -1;
            foreach (ReadOnlyMemory<byte> key in elements.Keys)
            {
                if (list >= 0 && _writer.NestLength(list) > MaxNest)
                {
                    _writer.EndNest(list);
                    _writer.EndMessage();
                    list = -1;
                }
                if (list < 0)
                {
                    BeginIn(_elementsType, (ushort)(_elementsType == NFT_MSG_NEWSETELEM ? NetlinkConstants.NLM_F_CREATE : 0));
                    _writer.Text(2, elements.Set);
                    list = _writer.BeginNest(3);
                }
                int element = _writer.BeginNest(NFTA_LIST_ELEM);
                Value(1, key.Span);
                _writer.EndNest(element);
            }
            _writer.EndNest(list);
            _writer.EndMessage();
        }
        ForgetElements();
    }

    private int BeginExpression(string name)
    {
        _element = _writer.BeginNest(NFTA_LIST_ELEM);
        _writer.Text(NFTA_EXPR_NAME, name);
        return _writer.BeginNest(NFTA_EXPR_DATA);
    }

    private void EndExpression(int data)
    {
        _writer.EndNest(data);
        _writer.EndNest(_element);
    }

    private void Message(ushort type, ushort flags, ushort nameAttribute)
    {
        Begin(type, flags, NFNL_SUBSYS_NFTABLES, 0);
        _writer.Text(nameAttribute, _table);
        _writer.EndMessage();
    }

    /// <summary>Every message but those about tables names its table in attribute 1.</summary>
    private void BeginIn(ushort type, ushort flags)
    {
        Begin(type, flags, NFNL_SUBSYS_NFTABLES, 0);
        _writer.Text(1, _table);
    }

    private void Begin(ushort type, ushort flags, ushort subsystem, ushort resource)
    {
        WriteElements();
        IsEmpty = false;
        NetfilterHeader header = new() { Family = subsystem == 0 ? (byte)0 : _family, ResourceId = BinaryPrimitives.ReverseEndianness(resource) };
        _writer.BeginMessage((ushort)((subsystem << 8) | type), (ushort)(flags | NetlinkConstants.NLM_F_REQUEST), header);
    }

    /// <summary><c>struct nfgenmsg</c>; res_id is in network byte order.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct NetfilterHeader
    {
        public byte Family;
        public byte Version;
        public ushort ResourceId;
    }

    private sealed class SetElements
    {
        public string Set { get; set; } = "";

        public List<ReadOnlyMemory<byte>> Keys { get; } = [];
    }
}
